// Width converter: the same elements in words of another number of lanes.
//
// Reference    a reshape: element order is kept, lane 0 of the first word first
// Latency      widening: OutLanes / InLanes cycles from first word in; narrowing 1; equal 0, a wire
// Throughput   1 word per cycle on the narrow side
// Stall        widening: a full word must leave before the next begins; narrowing: ready_o is 1
//              only while empty or while the last part leaves
module width #(
  parameter int InLanes  = 2,  // one divides the other
  parameter int OutLanes = 4,
  parameter int Bits     = 8   // per element
) (
  input  logic                     clk_i,
  input  logic                     rst_ni,  // synchronous, active low
  // InLanes elements
  input  logic                     valid_i,
  output logic                     ready_o,
  input  logic [InLanes*Bits-1:0]  data_i,
  // OutLanes elements
  output logic                     valid_o,
  input  logic                     ready_i,
  output logic [OutLanes*Bits-1:0] data_o
);

  initial if (InLanes % OutLanes != 0 && OutLanes % InLanes != 0) begin
    $fatal(1, "%m: neither of InLanes=%0d and OutLanes=%0d divides the other", InLanes, OutLanes);
  end

  if (InLanes == OutLanes) begin : gen_wire
    logic unused;
    assign unused  = ^{clk_i, rst_ni};
    assign valid_o = valid_i;
    assign ready_o = ready_i;
    assign data_o  = data_i;
  end else begin : gen_convert
    localparam int Ratio     = (InLanes > OutLanes) ? InLanes / OutLanes : OutLanes / InLanes;
    localparam int RatioBits = $clog2(Ratio);

    logic                 valid_q;
    logic [RatioBits-1:0] part_q;  // parts already in the word (widening) or gone (narrowing)
    logic                 last, take, move;

    assign last    = part_q == RatioBits'(Ratio - 1);
    assign take    = valid_i && ready_o;
    assign valid_o = valid_q;

    if (InLanes < OutLanes) begin : gen_widen
      localparam int InWidth  = InLanes * Bits;
      localparam int OutWidth = OutLanes * Bits;
      logic [OutWidth-1:0] data_q;

      assign ready_o = !valid_q || ready_i;
      assign move    = take;
      assign data_o  = data_q;

      always_ff @(posedge clk_i) begin
        if (!rst_ni) valid_q <= 1'b0;
        else if (ready_o) valid_q <= valid_i && last;
      end

      // the oldest part ends in the low bits
      always_ff @(posedge clk_i) if (take) data_q <= {data_i, data_q[OutWidth-1:InWidth]};
    end else begin : gen_narrow
      localparam int InWidth  = InLanes * Bits;
      localparam int OutWidth = OutLanes * Bits;
      logic [InWidth-1:0] data_q;

      assign ready_o = !valid_q || (ready_i && last);
      assign move    = valid_q && ready_i;
      assign data_o  = data_q[OutWidth-1:0];

      always_ff @(posedge clk_i) begin
        if (!rst_ni) valid_q <= 1'b0;
        else if (ready_o) valid_q <= valid_i;
      end

      always_ff @(posedge clk_i) begin
        if (take) data_q <= data_i;
        else if (move) data_q <= data_q >> OutWidth;
      end
    end

    always_ff @(posedge clk_i) begin
      if (!rst_ni) part_q <= '0;
      else if (move) part_q <= last ? '0 : part_q + 1'b1;
    end
  end

endmodule
