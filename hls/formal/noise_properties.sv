// noise.sv: one beat for each, every element within Low .. High; any seed, at any time.
module noise_properties #(
  parameter int Lanes = 1,
  parameter int InBits = 3,
  parameter int InKind = 0,
  parameter int Steps = 3
) (
  input logic                    clk_i,
  input logic                    rst_ni,
  input logic                    seed_valid_i,
  input logic [31:0]             seed_i,
  input logic                    valid_i,
  input logic [Lanes*InBits-1:0] data_i,
  input logic                    ready_i
);

  localparam int Low  = (InKind != 0) ? -2 : 1;
  localparam int High = (InKind != 0) ? 2 : 5;
  localparam int InWord = Lanes*InBits, OutWord = Lanes*InBits;
  localparam int InWords = 1, OutWords = 1;
  localparam int FrameBits = 3, Patience = 0;
  `include "ends.svh"

  noise #(
    .Lanes(Lanes), .InBits(InBits), .InKind(InKind), .Low(Low), .High(High), .Steps(Steps),
    .Constants(93'h600000004000000020000000)
  ) dut (
    .clk_i(clk_i), .rst_ni(rst_ni), .seed_valid_i(seed_valid_i), .seed_i(seed_i), .valid_i(valid_i),
    .ready_o(ready), .data_i(data_i), .valid_o(valid), .ready_i(ready_i), .data_o(data)
  );

  logic signed [31:0] element;

  arrived u_arrived (
    .clk_i(clk_i), .rst_ni(rst_ni), .whole_i(mine), .asked_i(asked), .leave_i(gone)
  );
  always_comb begin
    for (int lane = 0; lane < Lanes; lane++) begin
      element = (InKind != 0) ? 32'($signed(data[lane*InBits +: InBits]))
                              : 32'(data[lane*InBits +: InBits]);
      if (rst_ni && valid) assert (element >= Low && element <= High);
    end
  end

endmodule
