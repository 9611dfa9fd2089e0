// Stands for what Vitis HLS would make: pins and protocol of a call, but each result word is the
// image word plus the one stored word, whose ones should be even.
module accelerator_axi (
  input ap_clk, input ap_rst_n,
  input images_TVALID, output images_TREADY, input [15:0] images_TDATA, input images_TLAST,
  input [1:0] images_TKEEP, input [1:0] images_TSTRB,
  output results_TVALID, input results_TREADY, output [31:0] results_TDATA, output results_TLAST,
  output [3:0] results_TKEEP, output [3:0] results_TSTRB,
  input s_axi_control_AWVALID, output s_axi_control_AWREADY, input [6:0] s_axi_control_AWADDR,
  input s_axi_control_WVALID, output s_axi_control_WREADY, input [31:0] s_axi_control_WDATA,
  input [3:0] s_axi_control_WSTRB, output reg s_axi_control_BVALID, input s_axi_control_BREADY,
  output [1:0] s_axi_control_BRESP, input s_axi_control_ARVALID, output s_axi_control_ARREADY,
  input [6:0] s_axi_control_ARADDR, output reg s_axi_control_RVALID, input s_axi_control_RREADY,
  output reg [31:0] s_axi_control_RDATA, output [1:0] s_axi_control_RRESP
);
  reg [31:0] vectors, access, memory, address, part, value, answer, told, stored, left;
  reg running, done;
  wire write = s_axi_control_AWVALID && s_axi_control_WVALID && !s_axi_control_BVALID;
  wire read = s_axi_control_ARVALID && !s_axi_control_RVALID;
  wire move = images_TVALID && images_TREADY;
  wire here = memory == 0 && address == 0 && part == 0 && access != 0;

  assign s_axi_control_AWREADY = write, s_axi_control_WREADY = write;
  assign s_axi_control_ARREADY = read;
  assign s_axi_control_BRESP = 0, s_axi_control_RRESP = 0;
  assign images_TREADY = running && left != 0 && results_TREADY;
  assign results_TVALID = running && left != 0 && images_TVALID;
  assign results_TDATA = {16'd0, images_TDATA} + stored;
  assign results_TLAST = left == 1;
  assign results_TKEEP = {4{&images_TKEEP}}, results_TSTRB = {4{&images_TSTRB}};

  initial stored = 5;
  always @(posedge ap_clk) begin
    if (s_axi_control_BREADY) s_axi_control_BVALID <= 0;
    if (s_axi_control_RREADY) s_axi_control_RVALID <= 0;
    if (move) left <= left - 1;
    if (running && left == 0) begin
      running <= 0;
      done <= 1;
    end
    if (write) begin
      s_axi_control_BVALID <= 1;
      case (s_axi_control_AWADDR)
        7'h10: vectors <= s_axi_control_WDATA;
        7'h18: access <= s_axi_control_WDATA;
        7'h20: memory <= s_axi_control_WDATA;
        7'h28: address <= s_axi_control_WDATA;
        7'h30: part <= s_axi_control_WDATA;
        7'h38: value <= s_axi_control_WDATA;
        7'h00: if (s_axi_control_WDATA[0]) begin
          running <= 1;
          left <= vectors;
          answer <= here ? stored : 0;
          told <= {30'd0, ^stored && memory == 0, ^stored};
          if (here && access == 1) stored <= value;
        end
        default: ;
      endcase
    end
    if (read) begin
      s_axi_control_RVALID <= 1;
      s_axi_control_RDATA <= (s_axi_control_ARADDR == 7'h40) ? answer :
                             (s_axi_control_ARADDR == 7'h48) ? told : {30'd0, done, running};
      if (s_axi_control_ARADDR == 7'h00 && done) done <= 0;
    end
    if (!ap_rst_n) begin
      {running, done, s_axi_control_BVALID, s_axi_control_RVALID} <= 0;
    end
  end
endmodule
